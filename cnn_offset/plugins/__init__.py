"""What speaks to the outside: payment plug-ins and registry connectors.

Plug-ins know the domain and their own base, and nothing of the application.
"""
