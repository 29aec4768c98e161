"""Tries to start processes by the standard library."""

import multiprocessing

for method in ("fork", "spawn", "forkserver"):
    try:
        with multiprocessing.get_context(method).Pool(2) as pool:
            print("ESCAPED", pool.map(abs, [1]))
    except Exception as error:
        print(type(error))
