"""MongoDB: the only place that knows a database driver. https://www.mongodb.com/docs/manual/reference/command/"""
