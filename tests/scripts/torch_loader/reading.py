"""A CSV file as a torch Dataset."""

import csv

import torch
from torch.utils.data import Dataset


class Table(Dataset):
    def __init__(self, path: str) -> None:
        with open(path) as stream:
            rows = list(csv.DictReader(stream))
        self.y = torch.tensor([int(row.pop("label")) for row in rows])
        self.x = torch.tensor([[float(cell) for cell in row.values()] for row in rows])
        self.width = self.x.shape[1]
        self.classes = int(self.y.max()) + 1

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int):
        return self.x[index], self.y[index]
