"""From what runs today to the text that says it: a workload that changes nothing."""
