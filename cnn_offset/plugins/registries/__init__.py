"""Registry connectors, one registry a module."""
