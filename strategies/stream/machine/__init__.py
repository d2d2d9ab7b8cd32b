"""What all stream strategies share: the budget, the decision, the state, running and replaying."""
