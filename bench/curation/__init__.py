"""What `bench/loop.py` trains from."""
