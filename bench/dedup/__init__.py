"""What bench/duplicates.py is made of: the documents with planted copies, and the peers."""
