"""What the commands run: reading images, converting documents, writing results."""
