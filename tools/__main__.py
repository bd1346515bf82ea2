"""`python -m cathode_tf.tools` is `cathode-tf`."""

from .main import main

if __name__ == "__main__":
    main()
