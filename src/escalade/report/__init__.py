"""The report of a campaign: one offline page, made from results alone."""
