"""`python -m policycompiler`."""

from policycompiler.cli import main

main()
