"""Videos: the frames they have, and how these become a file, also where one was stopped and goes on."""
