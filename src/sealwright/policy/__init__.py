"""Policy: facts drawn from statements, Cedar over the facts, gates, people and approvals."""
