"""What the code verifier is made of: reading test sets, finding the program in an answer, running one on the other."""
