"""How risky each difference is, and why: one file a subject, a rule a kind."""
