"""Tries to go on unseen after closing its streams."""
# ends: cpu

import os

for file in range(3):
    os.close(file)
while True:
    pass
