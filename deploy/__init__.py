"""The deployment: the packages of the functions, and the program that provisions them."""
