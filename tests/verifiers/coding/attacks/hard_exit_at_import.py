"""The same without cleaning up."""

import os

os._exit(0)
