"""From application to loan: assessment, other security, decision, price, the second person, drawing."""
