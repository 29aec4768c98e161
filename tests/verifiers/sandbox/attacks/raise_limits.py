"""Tries to raise its own limits."""

import resource

for name in [name for name in dir(resource) if name.startswith("RLIMIT_")]:
    number = getattr(resource, name)
    soft, hard = resource.getrlimit(number)
    for value in (hard + 1, resource.RLIM_INFINITY):
        if hard == resource.RLIM_INFINITY or name == "RLIMIT_OFILE":
            continue
        try:
            resource.setrlimit(number, (value, value))
            print("ESCAPED", name)
        except (OSError, ValueError) as error:
            print(error)
