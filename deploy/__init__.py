"""What is deployed: the packages of the functions, and the program that provisions them."""
