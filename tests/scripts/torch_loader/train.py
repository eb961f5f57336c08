"""Train a small network with DataLoader workers and save its weights."""

import torch
from reading import Table
from torch import nn
from torch.utils.data import DataLoader


def main() -> None:
    torch.manual_seed(0)
    table = Table("data/train.csv")
    loader = DataLoader(table, batch_size=64, shuffle=True, num_workers=2, persistent_workers=True)
    net = nn.Sequential(nn.Linear(table.width, 32), nn.ReLU(), nn.Linear(32, table.classes))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for epoch in range(3):
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch} loss {total / len(loader):.3f}", flush=True)
    torch.save(net.state_dict(), "model.pt")


if __name__ == "__main__":
    main()
