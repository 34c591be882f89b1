# SPDX-License-Identifier: LicenseRef-Proprietary
# Copyright 2019 Meridian Hydrographics. All rights reserved. Not for redistribution.
"""Running median of the last samples, which a single spike cannot move."""

from bisect import bisect_left, insort
from collections import deque


class RunningMedian:
    def __init__(self, size):
        self.window = deque()
        self.ordered = []
        self.size = size

    def add(self, value):
        self.window.append(value)
        insort(self.ordered, value)
        if len(self.window) > self.size:
            oldest = self.window.popleft()
            del self.ordered[bisect_left(self.ordered, oldest)]

    def value(self):
        middle = len(self.ordered) // 2
        if len(self.ordered) % 2:
            return self.ordered[middle]
        return (self.ordered[middle - 1] + self.ordered[middle]) / 2
