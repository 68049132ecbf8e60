"""``python -m robustq``."""

from robustq.cli.main import main

if __name__ == "__main__":
    main()
