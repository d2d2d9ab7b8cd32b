"""Who is let in: hosts and origins that are answered, the sign-in page, and its cookie."""
