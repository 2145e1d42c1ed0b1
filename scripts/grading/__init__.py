"""Make the students' versions of the assignments, collect submissions and grade them, with nbgrader.

A student's code runs in a kernel of its own, and only its observations come back: what each function returned for
the hidden probes. The answers, the known mistakes and the points stay in this process, where that code can't reach.
"""
