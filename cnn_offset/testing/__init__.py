"""Contracts for plug-ins: test classes that a plug-in's author subclasses and runs with pytest.

They need nothing of the application, only the plug-in and a *world* for it to speak to.
"""
