"""The study of students: how good is one evaluation, and what did it cost?"""
