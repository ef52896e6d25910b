import time
def test_x(project):
    t=time.time(); o = project.run(); print(time.time()-t)
    print(o.code, o.stdout, o.stderr)
    t=time.time(); o = project.run(); print(time.time()-t)
    t=time.time(); o = project.process(); print(time.time()-t, o.code, o.stderr)
    assert 0
