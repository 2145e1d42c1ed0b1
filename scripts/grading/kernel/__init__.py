"""The folder that the student's kernel imports from; nothing in it holds an answer."""
