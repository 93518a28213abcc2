"""Reports for people: HTML pages, contact sheets, overlay videos."""
