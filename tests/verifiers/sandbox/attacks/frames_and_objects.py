"""Tries to find other runs, the order and the caller in the interpreter's memory."""

import gc
import sys

frame = sys._getframe()
seen = []
while frame:
    seen.append(repr(frame.f_locals))
    frame = frame.f_back
gc.unfreeze()
for found in gc.get_objects():
    try:
        seen.append(repr(found)[:10_000])
    except Exception:
        pass
seen += [repr(module.__dict__)[:10_000] for module in list(sys.modules.values()) if hasattr(module, "__dict__")]
text = "".join(seen)
if "tupni s'nur rehtona"[::-1] in text:
    print("ESCAPED")
