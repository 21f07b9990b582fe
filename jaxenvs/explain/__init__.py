"""From an exception inside an author's code to the line that raised it, what is wrong there, and the fix."""
