"""How risky each difference is, and why: one file for each subject, one rule for each kind."""
