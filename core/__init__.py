"""Types, errors, content ids, plugin loading and settings; imports nothing else of ours."""
