"""What runs inside the runner component; all of it is part of the measured artefact.

The modules here are copied into the component with CPython and the chosen part of
its standard library, and see nothing else of this project. They run on the host
only in tests.
"""
