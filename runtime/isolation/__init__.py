"""Nets in processes of their own: what goes wrong there is an exception here."""
