"""`python -m policycompiler`."""

from policycompiler.cli import main

if __name__ == "__main__":
    main()
