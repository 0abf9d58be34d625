"""Images on their way to a network, against torchxrayvision's ``NIH_Dataset`` in a ``DataLoader``.

A folder in NIH's layout with 1024 px PNGs of some 400 kB is made on the spot; the operating system has the
files in memory. The peer turns them into batches of 224 px with two worker processes, by its own centre crop
and resizing, each epoch anew. cxrbench fills its image cache once, with two worker processes, and reads
batches from that on one thread. The ways run in turns, and medians are compared::

    pip install 'cxrbench[bench]'
    python benchmarks/input_pipeline.py --images 2000
"""

if __name__ == "__main__":
    # Workers that prepare images import this file too, and need nothing that is heavy.
    from input_ways import main

    main()
