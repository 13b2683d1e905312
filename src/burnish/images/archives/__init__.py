"""Folders, zips and tars behind one interface; hostile ones are refused."""
