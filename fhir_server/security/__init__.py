"""Who is asking, what they may see, what gets audited: the rules that narrow every query come here."""
