"""Drop the pixels that never change: an ordinary script that knows nothing of Sealwright."""

import numpy as np

header = open("data/digits.csv").readline().strip().split(",")
table = np.loadtxt("data/digits.csv", delimiter=",", skiprows=1)
keep = [i for i, name in enumerate(header) if name == "digit" or table[:, i].std() > 0]
with open("data/clean.csv", "w") as out:
    out.write(",".join(header[i] for i in keep) + "\n")
    np.savetxt(out, table[:, keep], fmt="%d", delimiter=",")
print(f"kept {len(keep) - 1} of {len(header) - 1} pixels of {len(table)} digits")
