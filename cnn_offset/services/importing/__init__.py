"""Files that operators import at the command line (F10): what the earlier platform cancelled,
and registries' reports of activities and issuances.

A file is *surveyed* once (its hash, its letters), then read row by row, as many times as
there are rows in it: no step holds all of them. A *kind* knows what the rows of a file mean;
``runs`` brings them in, batch by batch, and goes on where it was stopped.
"""
