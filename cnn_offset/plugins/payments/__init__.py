"""Payment plug-ins, one processor a module."""
