"""The commands, one module each: parse, call one function of the library, return its exit code.

Nothing heavy is imported at module level. A command first calls :func:`ocrtool.console.begin`, then
imports what it needs.
"""
