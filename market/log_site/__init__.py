"""The log as a site: published by a thread, served as files."""
