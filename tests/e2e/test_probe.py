import sys; 
import numpy as np, pandas as pd, pytest, traceback
from tests.e2e.test_line import *
from gates.cli import crash
import gates.cli.judge as J
def shrink(n): return lambda p: [p.write(x, p.table(x)[:n]) for x in (HOLDOUT,CANDIDATE,BASELINE)]
def const(p):
    for x in (CANDIDATE,BASELINE):
        f=p.table(x)
        for c in f.columns[1:]: f[c]=[f[c].iloc[0]]*len(f)
        p.write(x,f)
def constcand(p):
    f=p.table(CANDIDATE)
    for c in f.columns[1:]: f[c]=[f[c].iloc[0]]*len(f)
    p.write(CANDIDATE,f)
def onelabel(p):
    f=p.table(HOLDOUT); f['target']=[f['target'].iloc[0]]*len(f); p.write(HOLDOUT,f)
def perfect(p):
    y=p.table(HOLDOUT)['target'];
    for x in (CANDIDATE,BASELINE):
        f=p.table(x); f['prediction']=y
        if p.model['task']=='binary': f['score']=y.astype(float)
        if p.model['task']=='multiclass':
            for k in range(3): f[f'score_{k}']=(y==k).astype(float)
        p.write(x,f)
def perfectcand(p):
    y=p.table(HOLDOUT)['target'];
    for x in (CANDIDATE,):
        f=p.table(x); f['prediction']=y
        if p.model['task']=='binary': f['score']=y.astype(float)
        if p.model['task']=='multiclass':
            for k in range(3): f[f'score_{k}']=(y==k).astype(float)
        p.write(x,f)
def wrong(p):
    y=p.table(HOLDOUT)['target'];
    for x in (CANDIDATE,):
        f=p.table(x)
        if p.model['task']=='binary': f['prediction']=1-y; f['score']=1-y.astype(float)
        if p.model['task']=='multiclass':
            z=(y+1)%3; f['prediction']=z
            for k in range(3): f[f'score_{k}']=(z==k).astype(float)
        if p.model['task']=='regression': f['prediction']=1e300
        p.write(x,f)
def huge(p):
    if p.model['task']!='regression': return
    f=p.table(HOLDOUT); f['target']=f['target']*1e200; p.write(HOLDOUT,f)
def zero(p):
    if p.model['task']!='regression': return
    f=p.table(HOLDOUT); f['target']=0.0; p.write(HOLDOUT,f)
SH={'n1':shrink(1),'n2':shrink(2),'n3':shrink(3),'n5':shrink(5),'n20':shrink(20),'const':const,'constcand':constcand,'onelabel':onelabel,'perfect':perfect,'perfectcand':perfectcand,'wrong':wrong,'huge':huge,'zero':zero}
@pytest.mark.parametrize('sh',SH)
def test_p(project,sh):
    project.model['gates']['fairness']['min_group']=2
    project.model['privacy']={'min_count':1}
    SH[sh](project)
    project.save()
    import gates.runner as R
    o=project.call('baseline','register','--predictions',str(project.path(BASELINE)),'--alias','champion','--config',str(project.path('model-gates.yml')))
    print('REG',o.code,o.stderr[-400:])
    dbg=project.path('dbg')
    o=project.call('--debug',str(dbg),'run','--config',str(project.path('model-gates.yml')),'--out',str(project.path('out')))
    r=o.report
    print('RUN',o.code, r['verdict'], r['error'] and r['error']['message'])
    for m in r['models']:
        for g in m['gates']:
            from collections import Counter
            print(g['gate'],g['verdict'],g['error'] and g['error']['message'],Counter(c['verdict'] for c in g['checks']))
    if dbg.exists(): print(dbg.read_text())
    assert o.code!=70
