"""The script that runs other programs; its own folder is all that their Python sees of ocrtool."""
