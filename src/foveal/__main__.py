"""`python -m foveal` is the command `foveal`."""

from foveal.app.cli import main

main()
