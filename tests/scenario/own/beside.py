from lies_beside import late  # noqa: F401
