"""Converting many documents: worker processes, a resumable journal, ordered output, reports."""
