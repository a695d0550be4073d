"""The only room that formats for people and machines: findings, explanations, the overview of tasks."""
